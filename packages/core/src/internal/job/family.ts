/**
 * Keeps children in step with their parents: who is over cancels them, who is paused pauses them.
 *
 * Nobody has to tell them: what a child should do follows from what is stored of its parent, so that whoever looks next
 * goes on where a process has died.
 */
import * as Effect from "effect/Effect"
import type { JobId } from "../../JobId.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { stepOf, type Wish } from "../store/request.ts"
import { obey, update } from "./change.ts"
import type { JobRuntime } from "./runtime.ts"

/** How often all children are looked at in a row; each time the next generation is. */
const generations = 100

/** Brings all children into step with their parents, generation by generation. */
export const align = Effect.fnUntraced(function*(runtime: JobRuntime): Effect.fn.Return<void, JobStoreError> {
  const { changed, claimable, store } = runtime
  let isChanged = true
  for (let i = 0; i < generations && isChanged; i++) {
    isChanged = false
    for (const { id, wish } of yield* store.astray) {
      // Between two looks it may have been removed.
      const moved = yield* Effect.catchReason(
        alignOne(store, id, wish),
        "JobStoreError",
        "JobNotFound",
        () => Effect.succeed(false)
      )
      if (!moved) continue
      isChanged = true
      changed.notifyUnsafe()
      claimable.notifyUnsafe()
    }
  }
})

const alignOne = Effect.fnUntraced(function*(store: JobRuntime["store"], id: JobId, wish: Wish) {
  let isChanged = false
  yield* update(store, id, (child, now) =>
    Effect.sync(() => {
      const next = stepOf(child, wish)
      const change = next && obey(child, next, "parent", now)
      isChanged = change !== undefined
      return change
    }))
  return isChanged
})
