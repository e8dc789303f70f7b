/**
 * Tells whether stores can be reached, has jobs wait for those that can't, and objects fail alone whose stores answer.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import { JobContext } from "@fanout/core/JobContext"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import { ObjectStores } from "../../ObjectStore.ts"
import { pauseNameOf } from "../work/diskPause.ts"
import { type Places, placesIn } from "./objectAccess.ts"

type Paths = ReadonlyArray<FilePath.FilePath>

/** Whether the stores of all addresses among these answer, whatever that is. */
const areAnswering = Effect.fnUntraced(function*(at: Places, paths: Paths) {
  for (const path of paths.filter(FilePath.isAddress)) {
    const look = Effect.flatMap(at(path), ({ key, store }) => Stream.runHead(store.list(key)))
    if (yield* Effect.match(look, { onFailure: ({ isTransient }) => isTransient, onSuccess: () => false })) return false
  }
  return true
})

/** Whether a job on these paths that has waited for the network may go on. */
export const isReachable = (paths: Paths): Effect.Effect<boolean, never, ObjectStores> =>
  Effect.flatMap(ObjectStores, (stores) => areAnswering(placesIn(stores), paths))

/** What went wrong with an object: the code of its error, and its sentence. */
interface Trouble {
  readonly code: string
  readonly why: string
}

/** Finds the error of work, if it is of this kind. */
export const errorIn =
  <T extends Trouble>(isOfKind: (error: unknown) => error is T) => (exit: Exit.Exit<unknown, unknown>): T | undefined =>
    Option.getOrUndefined(Option.filter(Exit.findErrorOption(exit), isOfKind))

/** How work on objects has ended. */
interface Tried<A, E, T> {
  readonly exit: Exit.Exit<A, E>
  /** What went wrong with these objects while their stores answer: a job that waits for that would wait for ever. */
  readonly alone?: T
  /** What all objects of the stores would meet, and so the job waits for. */
  readonly shared?: T & { readonly by: string }
}

/** How often work is done again whose connection breaks, while the store answers. */
const mostTries = 3

/** Does work on objects, and tells whether what went wrong is theirs alone. */
export const tried = Effect.fnUntraced(function*<A, E, R, T extends Trouble>(
  at: Places,
  paths: Paths,
  work: Effect.Effect<A, E, R>,
  troubleIn: (exit: Exit.Exit<A, E>) => T | undefined
): Effect.fn.Return<Tried<A, E, T>, never, R> {
  for (let triesLeft = mostTries;; triesLeft--) {
    const exit = yield* Effect.exit(work)
    const trouble = troubleIn(exit)
    const by = trouble && pauseNameOf(trouble.code)
    if (trouble === undefined || by === undefined) return { exit }
    if (by !== "network" || !(yield* areAnswering(at, paths))) return { exit, shared: { ...trouble, by } }
    // What the store has answered was tried again for two minutes.
    if (trouble.code !== "Unreachable" || triesLeft === 0) return { exit, alone: trouble }
  }
})

/** Pauses the job, and stays there, so that nothing is passed. */
export const stayPaused = (by: string, why: string): Effect.Effect<never, never, JobContext> =>
  Effect.flatMap(JobContext, ({ pause }) => Effect.andThen(Effect.exit(pause(by, why)), Effect.never))

/** Pauses the job where work on objects meets what all objects would. What fails alone is left to do so. */
export const whenReachable = <A, E, R>(
  at: Places,
  paths: Paths,
  work: Effect.Effect<A, E, R>,
  troubleIn: (exit: Exit.Exit<A, E>) => Trouble | undefined
): Effect.Effect<A, E | Interrupter.Interrupted, R | JobContext> =>
  Effect.gen(function*() {
    const { exit, shared } = yield* tried(at, paths, work, troubleIn)
    if (shared === undefined) return yield* exit
    const { pause } = yield* JobContext
    return yield* Effect.andThen(Effect.exit(pause(shared.by, shared.why)), Interrupter.stopped)
  })
