/**
 * The pools of threads that this process has now, so that their use can be shown.
 */
import * as Context from "effect/Context"
import type { ThreadsStatus } from "../../JobTasks.ts"

/** A pool of threads as others see it. */
export interface LivePool {
  readonly statusUnsafe: () => ThreadsStatus
}

/** All pools whose layers are open. A layer adds its pool, and takes it away when it closes. */
export const LivePools = Context.Reference<Set<LivePool>>("@fanout/core/internal/LivePools", {
  defaultValue: () => new Set()
})

/** The name of a pool: the tasks that it runs, the first three of them. */
export const nameOf = (tags: ReadonlyArray<string>): string => {
  const more = tags.length - 3
  return `${tags.slice(0, 3).join(", ")}${more > 0 ? ` and ${more} more` : ""}`.slice(0, 200)
}
