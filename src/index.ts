/** The public surface: explicit named exports, nothing else. */
export * from './errors.ts';
