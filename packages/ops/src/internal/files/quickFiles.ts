/**
 * Knows where the file system answers at once, so that not even the thread that must never wait has to hand a call on.
 *
 * A call that is handed to another thread takes ten times as long as most calls do. Where files are on a disk of this
 * machine the owner of a job may make it itself, for a few milliseconds at a time.
 */
import type * as Task from "@fanout/core/Task"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { FilePath } from "../../FilePath.ts"
import * as Files from "../../Files.ts"

/** What knows where calls are quick. */
export interface QuickFiles {
  /**
   * A file system for all that is under these real paths: `None` where anything is mounted in there, or a file system
   * that is not local is mounted above. It makes calls at once while they are quick, and hands them on otherwise; never
   * more than some milliseconds of them one after the other.
   */
  readonly throughout: (paths: ReadonlyArray<FilePath>) => Effect.Effect<Option.Option<Files.Files["Service"]>>

  /** Whether such file systems hand on all calls for now, since more than one was slow: then threads are quicker. */
  readonly isSlow: () => boolean
}

/** Reference to what knows where calls are quick; by default they are nowhere. */
export const QuickFiles: Context.Reference<QuickFiles> = Context.Reference<QuickFiles>("@fanout/ops/QuickFiles", {
  defaultValue: () => ({ throughout: () => Effect.succeedNone, isSlow: () => false })
})

/** Those who share work with the owner of a job. */
export interface Others<T extends Task.Any, E> {
  /** Their handlers. They are built only when there is something for them. */
  readonly layer: Layer.Layer<Task.Handler<T>, E>
  /** How many of them there are. They are given two pieces of work each. */
  readonly count: number
}

/** Those who do what the owner of a job does not. */
export interface Sides<T extends Task.Any, E> {
  /** Where the owner does its share. */
  readonly beside: Others<T, E>
  /** Where it does none, since calls may take long. */
  readonly alone: Others<T, E>
}

/** Where the owner of a job does its share, and when others help. */
export interface Where {
  /** Real paths that the files are under. */
  readonly paths: ReadonlyArray<FilePath>
  /** After so much others are asked: 1 for 64 files, and 1 for 512 KiB or 0.7 ms more; 64 by default. */
  readonly startsAfter?: number
}

/**
 * Has a walk over all that is under these paths make its calls at once, where that is quick; only those that follow no
 * links, if it `follows` some.
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
