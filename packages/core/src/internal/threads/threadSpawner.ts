/**
 * Starts threads for a pool, by whatever the platform has: `internal/node` has worker threads and child processes.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** A thread that was started. */
export interface Thread {
  /** Posts a message. It throws where the message can't be copied. */
  readonly postUnsafe: (message: unknown) => void

  /** Says whether the thread has work, for which the process has to stay. */
  readonly holdUnsafe: (hasWork: boolean) => void

  /** Ends the thread wherever it is, and waits until it has ended: for ever, where a system call holds it. */
  readonly terminate: Effect.Effect<void>
}

/** What is told of a thread. */
export interface ThreadListener {
  readonly message: (message: unknown) => void

  /** Called once, with a reason for people, when the thread has ended; also after `terminate`. */
  readonly ended: (why: string) => void
}

/** Service that starts threads which run `serveGroup` of `worker.ts`. */
export class ThreadSpawner extends Context.Service<ThreadSpawner, {
  /** Threads that can work at the same time. */
  readonly parallelism: number

  /**
   * Whether threads see nothing of the memory that they are given, since they are processes. Each is then given one
   * task at a time, which counts as begun once it is posted, and is told what else is in the memory.
   */
  readonly isApart?: boolean

  /** Starts a thread and gives it memory to share. It throws where none can be started. */
  readonly spawnUnsafe: (shared: SharedArrayBuffer, listener: ThreadListener) => Thread
}>()("@fanout/core/internal/ThreadSpawner") {}

/** How a thread reaches its owner. */
export interface Port {
  /** Posts a message, with what is to be moved instead of copied. It throws where the message can't be copied. */
  readonly postUnsafe: (message: unknown, transfers?: ReadonlyArray<unknown>) => void

  /** Has each message handed on. */
  readonly listenUnsafe: (receive: (message: unknown) => void) => void
}
