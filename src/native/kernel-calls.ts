/** System calls of the sandbox. Each returns a count or 0, else `-errno`. */
export interface KernelCalls {}
