/**
 * What a copy meets that is no failure of one file: a disk that is full, a device that is gone.
 */
import type * as FanOut from "@fanout/core/FanOut"
import { JobContext } from "@fanout/core/JobContext"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { EntryFailed } from "../CopyTask.ts"
import type { Files } from "../Files.ts"
import type { FilesError } from "../FilesError.ts"
import type * as FileTree from "../FileTree.ts"
import * as FileSystems from "./fileSystems.ts"

const pauseFor = (code: string, message: string): FanOut.Pause | undefined => {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return { by: "disk", message }
    case "ENODEV":
    case "ENOMEDIUM":
    case "ESTALE":
    case "ENOTCONN":
      return { by: "device", message }
    default:
      return undefined
  }
}

/** Pauses the job where a task meets such a thing. */
export const pauseOn = ({ code, why }: EntryFailed): FanOut.Pause | undefined => pauseFor(code, why)

/** Pauses the job, and stays where it is: the interruption that a pause ends with is for the program. */
const stay = (pause: FanOut.Pause): Effect.Effect<never, never, JobContext> =>
  Effect.flatMap(JobContext, (job) => Effect.andThen(Effect.exit(job.pause(pause.by, pause.message)), Effect.never))

/** Pauses the program of a job where a path is on another file system by now. */
export const pauseIfMoved: Effect.Effect<void, never, JobContext | Files> = Effect.flatMap(
  FileSystems.findMoved,
  (path) =>
    path === undefined
      ? Effect.void
      : Effect.flatMap(JobContext, (job) => job.pause("device", FileSystems.explain(path)))
)

/** What can't be read now is not passed, if that is not its own fault. */
const stayIfGone = ({ code, isMissing, message }: FilesError): Effect.Effect<void, never, JobContext | Files> => {
  const pause = pauseFor(code, message)
  if (pause !== undefined) return stay(pause)
  if (!isMissing) return Effect.void
  return Effect.flatMap(
    FileSystems.findMoved,
    (path) => path === undefined ? Effect.void : stay({ by: "device", message: FileSystems.explain(path) })
  )
}

/** Pauses the job where a walk meets such a thing. */
export const pausing = <E, R>(
  walk: Stream.Stream<FileTree.Element, E, R>
): Stream.Stream<FileTree.Element, E, R | JobContext | Files> =>
  Stream.tap(walk, (element) => element._tag === "Unreadable" ? stayIfGone(element.error) : Effect.void)
