/**
 * How a pool starts threads: `internal/node` has worker threads and child processes for it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** A thread that was started. */
export interface Thread {
  /** Posts a message. It throws where the message can't be copied. */
  readonly postUnsafe: (message: unknown) => void
  /** Says whether the thread has work, for which the process has to stay. */
  readonly holdUnsafe: (hasWork: boolean) => void
  /** Ends the thread whatever it does, and waits for its end: for ever, where a system call holds the thread. */
  readonly terminate: Effect.Effect<void>
}

export interface ThreadListener {
  readonly message: (message: unknown) => void
  /** Called once the thread has ended, also after `terminate`, with a reason for people. */
  readonly ended: (why: string) => void
}

/** Starts a thread and gives it memory to share. It throws where none can be started. */
export type Spawn = (shared: SharedArrayBuffer, listener: ThreadListener) => Thread

/** Service that starts threads which run `serveGroup` of `worker.ts`. */
export class ThreadSpawner extends Context.Service<ThreadSpawner, {
  /** Threads that can work at the same time. */
  readonly parallelism: number
  /**
   * Whether threads are processes, which don't see the memory of the pool. Each gets one task at a time, which counts
   * as begun once it is posted; messages tell what else is in the memory.
   */
  readonly isApart?: boolean
  readonly spawnUnsafe: Spawn
}>()("@fanout/core/internal/ThreadSpawner") {}

/** How a thread reaches its owner. */
export interface Port {
  /** Posts a message, with what is moved instead of copied. It throws where the message can't be copied. */
  readonly postUnsafe: (message: unknown, transfers?: ReadonlyArray<unknown>) => void
  readonly listenUnsafe: (receive: (message: unknown) => void) => void
}
