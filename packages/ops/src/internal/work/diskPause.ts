/**
 * What a job meets that is no failure of one file: a disk that is full, a disk that is gone.
 */
import type * as FanOut from "@fanout/core/FanOut"
import { JobContext } from "@fanout/core/JobContext"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import type { Files } from "../../Files.ts"
import type { EntryFailed } from "../copy/copyTask.ts"
import type * as FileTree from "../tree/fileTree.ts"
import * as JobFileSystems from "./jobFileSystems.ts"

/** Code of an error that says that all of a disk is gone. */
export const diskGone = "DiskGone"

/** Pauses the job where a task meets such a thing. */
export const pauseOn = ({ code, why }: Pick<EntryFailed, "code" | "why">): FanOut.Pause | undefined => {
  if (code === "ENOSPC" || code === "EDQUOT") return { by: "disk", message: why }
  return code === diskGone ? { by: "device", message: why } : undefined
}

const pause = (moved: FilePath.FilePath): Effect.Effect<never, never, JobContext> =>
  Effect.flatMap(JobContext, (job) => job.pause("device", JobFileSystems.explain(moved)))

/** Pauses the program of a job where one of its paths is on another file system by now. */
export const pauseIfMoved: Effect.Effect<void, never, JobContext | Files> = Effect.flatMap(
  JobFileSystems.findMoved(),
  (moved) => moved === undefined ? Effect.void : pause(moved)
)

/**
 * Pauses the job where a walk over these sources meets a disk that is gone, and stays there, so that nothing on it is
 * passed. A source that is the place of a mount is an empty folder then, and no error.
 */
export const pausing = <A extends FileTree.Element | FileTree.Whole, E, R>(
  walk: Stream.Stream<A, E, R>,
  sources: ReadonlyArray<FilePath.FilePath>
): Stream.Stream<A, E, R | JobContext | Files> => {
  const stay = ({ path, source }: A) =>
    Effect.flatMap(
      JobFileSystems.findMoved([FilePath.join(sources[source] ?? FilePath.empty, path)]),
      (moved) =>
        moved === undefined
          ? Effect.void
          // The interruption that a pause ends with is for the program.
          : Effect.andThen(Effect.exit(pause(moved)), Effect.never)
    )
  const isSuspicious = (element: FileTree.Element | FileTree.Whole): boolean =>
    element._tag === "Unreadable"
      ? JobFileSystems.mayBeAll(element.error)
      : element._tag === "Open" && element.path === ""
  return Stream.mapArrayEffect(walk, (elements) => {
    const suspicious = elements.filter(isSuspicious)
    return suspicious.length === 0
      ? Effect.succeed(elements)
      : Effect.as(Effect.forEach(suspicious, stay, { discard: true }), elements)
  })
}
