/** System calls of the file broker. Each returns a descriptor, a count or 0, else `-errno`. */
export interface FileCalls {}
