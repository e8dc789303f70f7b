/**
 * What a job meets that is no failure of one file: a disk that is full, a disk that is gone.
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Interrupter from "@fanout/core/Interrupter"
import { JobContext } from "@fanout/core/JobContext"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import type { Files } from "../../Files.ts"
import type { EntryFailed } from "../copy/copyTask.ts"
import type * as FileTree from "../tree/fileTree.ts"
import * as JobFileSystems from "./jobFileSystems.ts"

/** What all objects of a store would meet: no network, or something that the store has to be told. */
const storePauses: Readonly<Record<string, string>> = {
  Unreachable: "network",
  Throttled: "network",
  ServiceFailed: "network",
  BucketMissing: "store",
  CredentialsMissing: "store",
  CredentialsRefused: "store",
  CredentialsExpired: "store",
  ClockWrong: "store",
  RegionWrong: "store",
  Misconfigured: "store",
  StoreFull: "store"
}

/** What a job waits for that has met an error of this code: the disk, the network, or what the store has to be told. */
export const pauseNameOf = (code: string): string | undefined =>
  code === "ENOSPC" || code === "EDQUOT" ? "disk" : storePauses[code]

/** Pauses the job where a task meets a disk that is full, or a store that can't be worked with. */
export const pauseOn = ({ code, why }: Pick<EntryFailed, "code" | "why">): FanOut.Pause | undefined => {
  const by = pauseNameOf(code)
  return by === undefined ? undefined : { by, message: why }
}

/** Pauses the present job since one of its paths is on another file system by now, and waits for that. */
const Pause = Context.Reference<(moved: FilePath.FilePath) => Effect.Effect<never, Interrupter.Interrupted>>(
  "@fanout/ops/internal/diskPause",
  { defaultValue: () => () => Interrupter.stopped }
)

/** Pauses the job where one of these paths, or any if none is given, is on another file system by now. */
export const pauseIfMoved = (
  paths?: ReadonlyArray<FilePath.FilePath>
): Effect.Effect<void, Interrupter.Interrupted, Files> =>
  Effect.flatMap(
    JobFileSystems.findMoved(paths),
    (moved) => moved === undefined ? Effect.void : Effect.flatMap(Pause, (pause) => pause(moved))
  )

/** Runs the program of a job whose paths were on these file systems when it was planned, while they are. */
export const whileThere = <A, E, R>(
  homes: ReadonlyArray<JobFileSystems.Home> = [],
  program: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Interrupter.Interrupted, R | Files | JobContext> =>
  Effect.flatMap(JobContext, (job) => {
    let isPausing = false
    const pause = (moved: FilePath.FilePath) =>
      Effect.suspend(() => {
        if (isPausing) return Interrupter.stopped
        isPausing = true
        // The interruption that a pause ends with is for the program.
        return Effect.andThen(Effect.exit(job.pause("device", JobFileSystems.explain(moved))), Interrupter.stopped)
      })
    return pauseIfMoved().pipe(
      Effect.andThen(program),
      Effect.provideService(JobFileSystems.Homes, homes),
      Effect.provideService(Pause, pause)
    )
  })

/** Has work that may have come to nothing since a disk is gone wait for the pause of its job then. */
export const unlessGone = <A, E, R>(
  work: Effect.Effect<A, E, R>,
  isDoubtful: (exit: Exit.Exit<A, E>) => boolean
): Effect.Effect<A, E | Interrupter.Interrupted, R | Files> =>
  Effect.flatMap(
    Effect.exit(work),
    (exit): Effect.Effect<A, E | Interrupter.Interrupted, Files> =>
      isDoubtful(exit) ? Effect.andThen(pauseIfMoved(), exit) : exit
  )

type Met = FileTree.Element | FileTree.Whole

/** Path of what a walk meets: asked of all that is met, where tasks can't ask. */
export const pathIn = (sources: ReadonlyArray<FilePath.FilePath>) => ({ path, source }: Met) => [
  FilePath.join(sources[source] ?? FilePath.empty, path)
]

/** The same where its disk may be gone. The place of a mount is an empty folder then. */
export const doubtful = (sources: ReadonlyArray<FilePath.FilePath>) => (element: Met) => {
  const isDoubtful = element._tag === "Unreadable"
    ? JobFileSystems.mayBeAll(element.error)
    : element._tag === "Open" && element.path === ""
  return isDoubtful ? pathIn(sources)(element) : []
}

/** Pauses the job where a walk meets a disk that is gone, and stays there, so that nothing on it is passed. */
export const pausing = <A, E, R>(
  walk: Stream.Stream<A, E, R>,
  doubtfulIn: (element: A) => ReadonlyArray<FilePath.FilePath>
): Stream.Stream<A, E, R | Files> =>
  Stream.mapArrayEffect(walk, (elements) => {
    const paths = elements.flatMap(doubtfulIn)
    return paths.length === 0
      ? Effect.succeed(elements)
      : Effect.as(Effect.catch(pauseIfMoved(paths), () => Effect.never), elements)
  })
