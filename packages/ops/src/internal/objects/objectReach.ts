/**
 * Tells whether stores can be reached.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as FilePath from "../../FilePath.ts"
import { type ObjectStoreError, ObjectStores, parseAddress } from "../../ObjectStore.ts"
import type { ObjectPlace } from "./objectAccess.ts"

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
