/**
 * Keeps children in step with their parents: who is over cancels them, who is paused pauses them.
 *
 * Nobody has to tell them: what a child should do follows from what is stored of its parent, so that whoever looks next
 * goes on where a process has died.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { JobId } from "../../JobId.ts"
import type { JobRecord } from "../../JobRecord.ts"
import type { JobStoreError } from "../../JobStoreError.ts"
import { ask, type Change, step, update } from "./change.ts"
import { cleanUpCancelled } from "./end.ts"
import type { JobRuntime } from "./runtime.ts"
import { hasLeft, stepOf, type Wish } from "./wishes.ts"

/** How often all children are looked at in a row; each time the next generation is. */
const generations = 100

const lines = {
  Run: { asked: "Need not pause", done: "Resumed with its parent" },
  Pause: { asked: "Asked to pause with its parent", done: "Paused with its parent" },
  Cancel: { asked: "Asked to cancel with its parent", done: "Cancelled with its parent" }
}

const changeOf = (child: JobRecord, wish: Wish, now: number): Change | undefined => {
  const next = stepOf(child, wish)
  if (next === undefined) return undefined
  if (next === "Withdraw") return { record: ask(child, Option.none(), now), line: lines[wish].asked }
  if (next === "Ask") {
    const request = wish === "Cancel" ? "Cancel" : "PauseWithParent"
    return { record: ask(child, Option.some(request), now), line: lines[wish].asked }
  }
  return step(child, next, now, lines[wish].done, next._tag === "Resumed" ? { availableAt: now } : {})
}

/**
 * Brings all children into step with their parents, generation by generation.
 *
 * A child that has left something behind is cancelled only by who can clean up after it; others let it wait.
 */
export const align = Effect.fnUntraced(function*(runtime: JobRuntime): Effect.fn.Return<void, JobStoreError> {
  const { changed, claimable, runnables, store } = runtime
  const programs = Array.from(runnables.keys())
  let isChanged = true
  for (let i = 0; i < generations && isChanged; i++) {
    isChanged = false
    for (const { id, wish } of yield* store.astray(programs)) {
      // Between two looks it may have been removed.
      const moved = yield* Effect.catchReason(
        alignOne(runtime, id, wish),
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

const alignOne = Effect.fnUntraced(function*(runtime: JobRuntime, id: JobId, wish: Wish) {
  const { runnables, store } = runtime
  let isChanged = false
  const after = yield* update(store, id, (child, now) =>
    Effect.sync(() => {
      const isLeft = hasLeft(child) && !runnables.has(child.name)
      const change = isLeft && wish === "Cancel" ? undefined : changeOf(child, wish, now)
      isChanged = change !== undefined
      return change
    }))
  if (isChanged) yield* cleanUpCancelled(runtime, after)
  return isChanged
})
