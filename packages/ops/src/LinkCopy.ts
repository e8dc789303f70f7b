/**
 * Copies a symbolic link as it stands, wherever it leads.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { CopyStrategy } from "./CopyStrategy.ts"
import * as Files from "./Files.ts"
import { tolerate } from "./internal/attributes.ts"
import { createTemporary, placed } from "./internal/placing.ts"
import { onSource } from "./internal/sides.ts"

/**
 * Strategy for symbolic links.
 *
 * @category constructors
 * @since 0.1.0
 */
export const strategy: CopyStrategy = {
  name: "link",
  accepts: ({ kind }) => kind === "link",
  copy: (request) =>
    placed(
      request,
      Effect.gen(function*() {
        const files = yield* Files.Files
        const target = yield* onSource(files.readLink(request.source))
        yield* createTemporary(request, files.makeLink(target, request.temporary))
        const lost = yield* tolerate("times", files.setLinkTimes(request.temporary, request.stat))
        return { strategy: "link", sizeBytes: 0, lost }
      })
    )
}
