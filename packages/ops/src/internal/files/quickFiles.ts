/**
 * Knows the file systems whose calls are quick enough for the thread of the event loop.
 *
 * A call through another thread takes ten times as long as most calls. For files on a disk of this machine the owner of
 * a job makes calls itself, for a few milliseconds at a time.
 */
import type * as Task from "@fanout/core/Task"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { FilePath } from "../../FilePath.ts"
import * as Files from "../../Files.ts"

/** Knows where calls are quick. */
export interface QuickFiles {
  /**
   * A file system for everything under these real paths; `None` if anything is mounted below them, or if they are on a
   * file system that is not local. It makes calls at once while they are quick, for some milliseconds in a row, and by
   * the thread pool otherwise.
   */
  readonly throughout: (paths: ReadonlyArray<FilePath>) => Effect.Effect<Option.Option<Files.Files["Service"]>>

  /** Whether all calls go to the thread pool for now, because several were slow. Then worker threads are quicker. */
  readonly isSlow: () => boolean
}

/** Reference to the knowledge of quick calls; by default no call is quick. */
export const QuickFiles: Context.Reference<QuickFiles> = Context.Reference<QuickFiles>("@fanout/ops/QuickFiles", {
  defaultValue: () => ({ throughout: () => Effect.succeedNone, isSlow: () => false })
})

/** Workers that share the work of a job's owner. */
export interface Others<T extends Task.Any, E> {
  /** Their handlers. The layer is built with the first work for them. */
  readonly layer: Layer.Layer<Task.Handler<T>, E>
  /** Number of workers. Each has up to two pieces of work. */
  readonly count: number
}

/** The workers for work that the owner of a job does not do itself. */
export interface Sides<T extends Task.Any, E> {
  /** Workers beside an owner that does its share. */
  readonly beside: Others<T, E>
  /** Workers that do everything, where calls may take long. */
  readonly alone: Others<T, E>
}

/** Where the owner of a job does its share, and when workers help. */
export interface Where {
  /** Real paths that the files are under. */
  readonly paths: ReadonlyArray<FilePath>
  /** Work before the first worker is asked: 1 for 64 files, and 1 for 512 KiB or 0.7 ms more; 64 by default. */
  readonly startsAfter?: number
}

/**
 * Has a walk under these paths make its calls at once where they are quick. Of a walk that `follows` links these are
 * only the calls of routines, which follow none.
 */
export const walking = <A, E, R>(
  paths: ReadonlyArray<FilePath>,
  walk: Stream.Stream<A, E, R>,
  follows = false
): Stream.Stream<A, E, Exclude<R, Files.Files> | Files.Files> =>
  Stream.unwrap(Effect.gen(function*() {
    const { throughout } = yield* QuickFiles
    const files = yield* Files.Files
    const quick = Option.getOrElse(yield* throughout(paths), () => files)
    return Stream.provideService(walk, Files.Files, follows ? { ...files, atOnce: quick.atOnce } : quick)
  }))
