/**
 * What a copy meets that is no failure of one file: a disk that is full, a device that is gone.
 */
import type * as FanOut from "@fanout/core/FanOut"
import { JobContext } from "@fanout/core/JobContext"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { EntryFailed } from "../CopyTask.ts"
import type { FilesError } from "../FilesError.ts"
import type * as FileTree from "../FileTree.ts"

const pauseFor = (code: string, message: string): FanOut.Pause | undefined => {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return { by: "disk", message }
    case "ENODEV":
    case "ENXIO":
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

const stay = ({ code, message }: FilesError): Effect.Effect<void, never, JobContext> => {
  const pause = pauseFor(code, message)
  if (pause === undefined) return Effect.void
  return Effect.flatMap(JobContext, (job) =>
    // It ends with an interruption of the program. The walk stays where it is: what can't be read now is not passed.
    Effect.andThen(Effect.exit(job.pause(pause.by, pause.message)), Effect.never))
}

/** Pauses the job where a walk meets such a thing. */
export const pausing = <E, R>(
  walk: Stream.Stream<FileTree.Element, E, R>
): Stream.Stream<FileTree.Element, E, R | JobContext> =>
  Stream.tap(walk, (element) => element._tag === "Unreadable" ? stay(element.error) : Effect.void)
