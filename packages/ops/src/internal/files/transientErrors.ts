/**
 * Tells errors of the file system that may be over in a moment.
 */

// A file that is in use, a server that does not answer, a lock or memory that is lacking.
const codes = new Set(
  "EAGAIN EBUSY ENOLCK ENOMEM ENOBUFS ETIMEDOUT ENETDOWN ENETUNREACH EHOSTDOWN EHOSTUNREACH ECONNRESET".split(" ")
)

export const isTransient = (code: string): boolean => codes.has(code)
