/**
 * Tells how short of memory the machine is, so that less is done at once before something is killed for it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * Share of the time, from 0 to 1, for which work has stalled of late for want of memory. Always 0, unless an adapter
 * such as `layerPressure` of `@fanout/core/node` provides it.
 *
 * @category services
 * @since 0.1.0
 */
export const Pressure: Context.Reference<Effect.Effect<number>> = Context.Reference<Effect.Effect<number>>(
  "@fanout/core/Pressure",
  { defaultValue: () => Effect.succeed(0) }
)
