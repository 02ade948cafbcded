/** System calls of the journal. Each returns a count or 0, else `-errno`. */
export interface JournalCalls {}
