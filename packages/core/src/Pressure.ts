/**
 * Tells how short of memory the machine is, so that fewer tasks run at once before the system kills a process.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * Share of the recent time, from 0 to 1, in which work waited for memory. The share is always 0, unless a layer such
 * as `layerPressure` of `@fanout/core/node` measures it.
 *
 * @category services
 */
export const Pressure: Context.Reference<Effect.Effect<number>> = Context.Reference<Effect.Effect<number>>(
  "@fanout/core/Pressure",
  { defaultValue: () => Effect.succeed(0) }
)
