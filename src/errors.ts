/** `tappass/errors`: every error class of the package. */
export {
  ApprovalRequired,
  BreakGlassActive,
  GovernanceDecision,
  PolicyBlockError,
  RedactionApplied,
  TapPassConfigError,
  TapPassConnectionError,
  TapPassError,
  ToolIntegrityViolation,
  TrustTierDenied,
} from './model/errors.ts';
