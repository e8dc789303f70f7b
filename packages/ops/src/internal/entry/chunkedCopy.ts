/**
 * Copies a large file, or one with holes, in pieces: it can be stopped between any two of them, and goes on there.
 */
import { copyContent } from "./contentCopy.ts"
import type { CopyStrategy } from "./copyStrategy.ts"
import * as LargeContentCopy from "./largeContentCopy.ts"
import * as PartialFile from "./partialFile.ts"

/**
 * Strategy for files of any size. Results name how the content was copied: `reflink` where it shares the blocks of the
 * source, `kernel` where the kernel has copied it, `chunked` where it went through memory.
 */
export const strategy: CopyStrategy = {
  accepts: ({ kind }) => kind === "file",
  copy: (request) => copyContent(request, { isLong: true, open: PartialFile.open, copy: LargeContentCopy.copy })
}
