/**
 * Names the process that owns a job, and tells whether it is surely dead.
 *
 * A lease that ran out proves little quickly: it takes its whole time. Where processes
 * can be looked at, a dead owner's jobs are taken over at once.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as JobId from "./JobId.ts"

/**
 * Schema for a process that owns jobs.
 *
 * **Details**
 *
 * `machine` names where process ids mean the same (machine, boot and process namespace);
 * `process` names the process so that a reused id is another name (id and start time).
 *
 * @category schemas
 * @since 0.1.0
 */
export class Owner extends Schema.Class<Owner>("@fanout/core/OwnerLiveness/Owner")({
  machine: Schema.String,
  boot: Schema.String,
  process: Schema.String
}) {}

/**
 * Service that names this process and looks at others.
 *
 * @category services
 * @since 0.1.0
 */
export class OwnerLiveness extends Context.Service<OwnerLiveness, {
  /** This process. */
  readonly self: Owner

  /** Whether the owner is surely dead. `false` where that can't be seen. */
  readonly isDead: (owner: Owner) => Effect.Effect<boolean>
}>()("@fanout/core/OwnerLiveness") {}

/**
 * Layer that sees nothing: dead owners are found by their lease alone.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerBlind: Layer.Layer<OwnerLiveness> = Layer.effect(
  OwnerLiveness,
  Effect.map(JobId.generate, (process) => ({
    self: new Owner({ machine: "", boot: "", process }),
    isDead: () => Effect.succeed(false)
  }))
)
