import * as Effect from "effect/Effect"
import * as fs from "node:fs"

const nobody = 65_534

/** Does something in a folder as somebody who may not do everything there. */
export const asNobody = <A, E, R>(folder: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  process.getuid?.() === 0
    ? Effect.acquireUseRelease(
      Effect.sync(() => {
        fs.chownSync(folder, nobody, nobody)
        process.seteuid?.(nobody)
      }),
      () => effect,
      () => Effect.sync(() => process.seteuid?.(0))
    )
    : effect
