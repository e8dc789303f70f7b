/**
 * Starts threads for a `ThreadPool`, by whatever the platform has. `layerThreads` of `@fanout/core/node` is the one
 * for Node's worker threads, `layerProcesses` the one for child processes.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * Error of a pool that can't have any thread. Its tasks stay unsettled.
 *
 * @category errors
 * @since 0.1.0
 */
export class ThreadsUnavailable
  extends Schema.TaggedError<ThreadsUnavailable>("@fanout/core/ThreadSpawner/ThreadsUnavailable")(
    "ThreadsUnavailable",
    { why: Schema.String }
  )
{
  override get message(): string {
    return `No thread can be started: ${this.why}`
  }
}

/**
 * A thread that was started.
 *
 * @category models
 * @since 0.1.0
 */
export interface Thread {
  /** Posts a message. It throws where the message can't be copied. */
  readonly postUnsafe: (message: unknown) => void

  /** Says whether the thread has work, for which the process has to stay. */
  readonly holdUnsafe: (hasWork: boolean) => void

  /** Ends the thread wherever it is, and waits until it has ended: for ever, where a system call holds it. */
  readonly terminate: Effect.Effect<void>
}

/**
 * What is told of a thread.
 *
 * @category models
 * @since 0.1.0
 */
export interface ThreadListener {
  readonly message: (message: unknown) => void

  /** Called once, with a reason for people, when the thread has ended; also after `terminate`. */
  readonly ended: (why: string) => void
}

/**
 * Service that starts threads which run `ThreadWorker.serve`.
 *
 * @category services
 * @since 0.1.0
 */
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
}>()("@fanout/core/ThreadSpawner") {}
