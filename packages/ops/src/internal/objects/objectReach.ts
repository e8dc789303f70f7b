/**
 * Tells whether stores can be reached, and has jobs wait for those that can't.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import { JobContext } from "@fanout/core/JobContext"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import { type ObjectStoreError, ObjectStores, parseAddress } from "../../ObjectStore.ts"
import { pauseNameOf } from "../work/diskPause.ts"
import type { ObjectAccess, ObjectPlace } from "./objectAccess.ts"

/** Whether the stores of all addresses among these answer, whatever that is. */
export const areAnswering = Effect.fnUntraced(function*(
  paths: ReadonlyArray<FilePath.FilePath>,
  at: (path: FilePath.FilePath) => Effect.Effect<Pick<ObjectPlace, "store" | "key">, ObjectStoreError>
) {
  for (const path of paths.filter(FilePath.isAddress)) {
    const look = Effect.flatMap(at(path), ({ key, store }) => Stream.runHead(store.list(key)))
    if (yield* Effect.match(look, { onFailure: ({ isTransient }) => isTransient, onSuccess: () => false })) return false
  }
  return true
})

/** Whether a job on these paths that has waited for the network may go on. */
export const isReachable = (
  paths: ReadonlyArray<FilePath.FilePath>
): Effect.Effect<boolean, never, ObjectStores> =>
  Effect.flatMap(ObjectStores, ({ at }) =>
    areAnswering(paths, (path) => {
      const address = Result.getOrThrow(parseAddress(path))
      return Effect.map(at(address), (store) => ({ store, key: address.key }))
    }))

/** What went wrong with an object: the code of its error, and its sentence. */
interface Trouble {
  readonly code: string
  readonly why: string
}

/** How often work is done again whose connection breaks, while the store answers. */
export const mostTries = 3

/**
 * Gives what has work on objects wait for a store: it pauses the job where the work has met something that all objects
 * would meet. What fails though its store answers is left to fail alone.
 */
export const waiting = ({ at }: ObjectAccess) =>
  Effect.map(JobContext, ({ pause }) =>
  <A, E, R>(
    paths: ReadonlyArray<FilePath.FilePath>,
    work: Effect.Effect<A, E, R>,
    troubleIn: (exit: Exit.Exit<A, E>) => Trouble | undefined
  ): Effect.Effect<A, E | Interrupter.Interrupted, R> => {
    const attempt = (triesLeft: number): Effect.Effect<A, E | Interrupter.Interrupted, R> =>
      Effect.flatMap(Effect.exit(work), (exit) => {
        const trouble = troubleIn(exit)
        const by = trouble && pauseNameOf(trouble.code)
        if (trouble === undefined || by === undefined) return exit
        const wait: Effect.Effect<never, Interrupter.Interrupted> = Effect.andThen(
          Effect.exit(pause(by, trouble.why)),
          Interrupter.stopped
        )
        return by === "network"
          ? Effect.flatMap(areAnswering(paths, at), (isAnswering) =>
            isAnswering
              ? trouble.code === "Unreachable" && triesLeft > 0 ? attempt(triesLeft - 1) : exit
              : wait)
          : wait
      })
    return attempt(mostTries)
  })
