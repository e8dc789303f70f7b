/**
 * Copies a symbolic link as it stands, wherever it leads.
 */
import * as Effect from "effect/Effect"
import { keepLinkAttributes, keepLinkOwner, tolerate } from "../steps/attributes.ts"
import { prepare } from "../steps/durability.ts"
import { createTemporary, flushPlaced, place } from "../steps/filePlacement.ts"
import { onSource } from "../steps/sideErrors.ts"
import type { CopyStrategy } from "./copyStrategy.ts"

/** Strategy for symbolic links. */
export const strategy: CopyStrategy = {
  accepts: ({ kind }) => kind === "link",
  copy: Effect.fnUntraced(function*(request) {
    const { options: { keeps }, source, stat, target: { folder }, temporary } = request
    const flush = yield* prepare(folder)
    const target = yield* onSource(source.folder.readLink(source.name))
    yield* createTemporary(request, folder.makeLink(target, temporary))
    const owner = keeps.has("owner") ? yield* keepLinkOwner({ folder, name: temporary }, stat) : []
    const attributes = yield* keepLinkAttributes(source, { folder, name: temporary }, request.options)
    const times = keeps.has("times") ? yield* tolerate("times", folder.setTimes(temporary, stat)) : []
    yield* place(request)
    yield* flushPlaced(request, flush)
    return { strategy: "link", sizeBytes: 0, lost: [...owner, ...attributes, ...times] }
  }, Effect.scoped)
}
