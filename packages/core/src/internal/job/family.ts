/**
 * Keeps child jobs in step with their parents: the end of a parent cancels the children, a pause pauses them.
 *
 * The stored state of the parent alone decides about a child, so after a crash any process can bring the children into
 * step.
 */
import * as Effect from "effect/Effect"
import type { JobStoreError } from "../../JobStoreError.ts"
import { stepOf } from "../store/request.ts"
import { obey, update } from "./change.ts"
import type { JobRuntime } from "./runtime.ts"

/** Most rounds in a row. Each round reaches the next generation of children. */
const generations = 100

/** Brings all children into step with their parents, one generation after the other. */
export const align = Effect.fnUntraced(function*(runtime: JobRuntime): Effect.fn.Return<void, JobStoreError> {
  const { changed, claimable, store } = runtime
  let isChanged = true
  for (let i = 0; i < generations && isChanged; i++) {
    isChanged = false
    for (const { id, wish } of yield* store.astray) {
      let isMoved = false
      const move = update(store, id, (child, now) =>
        Effect.sync(() => {
          const next = stepOf(child, wish)
          const change = next && obey(child, next, "parent", now)
          isMoved = change !== undefined
          return change
        }))
      // The child may have been removed meanwhile.
      yield* Effect.catchReason(move, "JobStoreError", "JobNotFound", () => Effect.sync(() => void (isMoved = false)))
      if (!isMoved) continue
      isChanged = true
      changed.notifyUnsafe()
      claimable.notifyUnsafe()
    }
  }
})
