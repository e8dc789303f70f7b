/** Pauses a job where what an element has met is not its own failure. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { PauseOn } from "../../FanOut.ts"
import { JobContext } from "../../JobContext.ts"
import type { Ending } from "../task/taskRun.ts"

export class Pausing {
  /** Whether the job is to pause: nothing more is taken from then on. */
  isAsked = false
  private readonly pauseOn: PauseOn<unknown> | undefined
  private readonly context: Context.Context<never>

  constructor(pauseOn: PauseOn<unknown> | undefined, context: Context.Context<never>) {
    this.pauseOn = pauseOn
    this.context = context
  }

  /** Gives the effect that pauses the job where an ending says so: the element stays unsettled then. */
  after(ending: Ending): Effect.Effect<void> | undefined {
    if (this.pauseOn === undefined || ending._tag !== "Failed") return undefined
    const pause = Option.match(Cause.findErrorOption(ending.cause), {
      onNone: () => undefined,
      onSome: this.pauseOn
    })
    if (pause === undefined) return undefined
    if (this.isAsked) return Effect.void
    this.isAsked = true
    const { pause: pauseJob } = Context.getUnsafe(this.context, JobContext)
    // It ends with an interruption, which is meant for the program.
    return Effect.flatMap(
      Effect.exit(pauseJob(pause.by, pause.message)),
      (exit): Effect.Effect<void> =>
        Exit.isFailure(exit) && Cause.hasDies(exit.cause) ? Effect.failCause(exit.cause) : Effect.void
    )
  }
}
