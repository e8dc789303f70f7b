/**
 * Copies a file of up to 8 MiB, most of them in one piece.
 *
 * @since 0.1.0
 */
import type { CopyStrategy } from "./CopyStrategy.ts"
import { copyContent } from "./internal/content.ts"

/**
 * Size of the largest files that are copied in this way.
 *
 * @category constructors
 * @since 0.1.0
 */
export const maxSizeBytes = 8 * 2 ** 20

// One byte more than the file has, so that the first read meets the end. No less than a file is likely to have that
// says it has nothing; no more than 64 copies at the same time may need.
const bufferBytes = (sizeBytes: number): number => Math.min(Math.max(sizeBytes + 1, 16_384), 2 ** 20)

/**
 * Strategy for files that are copied in a moment.
 *
 * @category constructors
 * @since 0.1.0
 */
export const strategy: CopyStrategy = {
  name: "whole",
  accepts: ({ kind, sizeBytes }) => kind === "file" && sizeBytes <= maxSizeBytes,
  copy: (request) => copyContent(request, { strategy: "whole", bufferBytes })
}
