/**
 * How many files a job may have under way at the same time: as many as the pool `io` may come to.
 */
import { Pools } from "@fanout/core/Pools"
import * as Effect from "effect/Effect"

export const filesAtOnce: Effect.Effect<number, never, Pools> = Effect.map(
  Pools,
  ({ findUnsafe }) => findUnsafe("io")?.most ?? 1
)
