/**
 * Copies a large file, or one with holes, in pieces: it can be stopped between any two of them, and goes on there.
 *
 * @since 0.1.0
 */
import type { CopyStrategy } from "./CopyStrategy.ts"
import { copyContent } from "./internal/content.ts"
import * as LargeContent from "./internal/largeContent.ts"
import * as PartialFile from "./internal/partialFile.ts"

/**
 * Strategy for files of any size. Results name how the content was copied: `reflink` where it shares the blocks of the
 * source, `kernel` where the kernel has copied it, `chunked` where it went through memory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const strategy: CopyStrategy = {
  accepts: ({ kind }) => kind === "file",
  copy: (request) => copyContent(request, { open: PartialFile.open, copy: LargeContent.copy })
}
