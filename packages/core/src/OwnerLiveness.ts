/**
 * Names the process that owns a job, and tells whether that process is surely dead.
 *
 * A lease takes its whole time to show that its owner is dead. A process that sees that the owner is dead takes over
 * its jobs at once.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as JobId from "./JobId.ts"

/**
 * Schema for a process that owns jobs. `machine` names the machine and the process namespace, `boot` the start of the
 * machine. `process` has the process id and its start time, so that a reused id is another name.
 *
 * @category schemas
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
 */
export class OwnerLiveness extends Context.Service<OwnerLiveness, {
  readonly self: Owner

  /** Whether the owner is surely dead; `false` if this process can't see it. */
  readonly isDead: (owner: Owner) => Effect.Effect<boolean>
}>()("@fanout/core/OwnerLiveness") {}

/**
 * Tells whether an owner seems to be dead: it is, or a machine of the same name runs in another boot. After a restart
 * of the machine that is so. A clone of the machine looks the same, so this is for people to see, and no job is taken
 * from the owner for it before the end of its lease.
 *
 * @category accessors
 */
export const seemsDead = ({ isDead, self }: OwnerLiveness["Service"], owner: Owner): Effect.Effect<boolean> => {
  const isRestarted = self.machine !== "" && owner.machine === self.machine && owner.boot !== self.boot
  return isRestarted && self.boot !== "" && owner.boot !== "" ? Effect.succeed(true) : isDead(owner)
}

/**
 * Layer that looks at no processes: only an expired lease shows that an owner is dead.
 *
 * @category layers
 */
export const layerBlind: Layer.Layer<OwnerLiveness> = Layer.effect(
  OwnerLiveness,
  Effect.map(JobId.generate, (process) => ({
    self: new Owner({ machine: "", boot: "", process }),
    isDead: () => Effect.succeed(false)
  }))
)
