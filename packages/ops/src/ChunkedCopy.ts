/**
 * Copies a large file in chunks, and can be stopped between any two of them.
 *
 * @since 0.1.0
 */
import type { CopyStrategy } from "./CopyStrategy.ts"
import { copyContent } from "./internal/content.ts"

/**
 * Size of a chunk. A stop waits for one to be written at most.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chunkBytes = 2 ** 20

/**
 * Strategy for files of any size.
 *
 * @category constructors
 * @since 0.1.0
 */
export const strategy: CopyStrategy = {
  name: "chunked",
  accepts: ({ kind }) => kind === "file",
  copy: (request) => copyContent(request, { strategy: "chunked", bufferBytes: () => chunkBytes })
}
