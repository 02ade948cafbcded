import { TapPassError } from '../model/errors.ts';

/** The broker had no permission: nothing was sent to where it refused to go. */
export class NetworkRefusal extends TapPassError {
  constructor(reason: string, options: { readonly cause?: unknown } = {}) {
    super(`Request refused: ${reason}`, { code: 'TAPPASS_NETWORK_REFUSED', ...options });
  }
}
