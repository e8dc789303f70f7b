/** Pauses a job where what an element has met is not its own failure. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { PauseOn } from "../../FanOut.ts"
import { JobContext } from "../../JobContext.ts"
import type { Ending } from "../dispatcher/attempts.ts"

export class Pausing {
  private readonly pauseOn: PauseOn<unknown> | undefined
  private readonly context: Context.Context<never>
  private isPausing = false

  constructor(pauseOn: PauseOn<unknown> | undefined, context: Context.Context<never>) {
    this.pauseOn = pauseOn
    this.context = context
  }

  /** What pauses the job where an ending says so; it stays unsettled then. */
  after(ending: Ending): Effect.Effect<void> | undefined {
    if (this.pauseOn === undefined || ending._tag !== "Failed") return undefined
    const pause = Option.match(Cause.findErrorOption(ending.cause), {
      onNone: () => undefined,
      onSome: this.pauseOn
    })
    if (pause === undefined) return undefined
    return Effect.suspend(() => {
      if (this.isPausing) return Effect.void
      this.isPausing = true
      // It ends with an interruption, which is meant for the program.
      return Effect.asVoid(Effect.exit(Context.getUnsafe(this.context, JobContext).pause(pause.by, pause.message)))
    })
  }
}
