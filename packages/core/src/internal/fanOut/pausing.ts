/** Pauses a job where what an element has met is not its own failure. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type { PauseOn } from "../../FanOut.ts"
import { JobContext } from "../../JobContext.ts"
import type { Ending } from "../task/taskRun.ts"

export class Pausing {
  private readonly pauseOn: PauseOn<unknown> | undefined
  private readonly context: Context.Context<never>
  private isPausing = false
  private readonly paused = Latch.makeUnsafe(false)

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
      // Nobody takes anything more until the job knows that it is to stop.
      if (this.isPausing) return Effect.asVoid(Effect.exit(Effect.interruptible(this.paused.await)))
      this.isPausing = true
      const { pause: pauseJob } = Context.getUnsafe(this.context, JobContext)
      // It writes to the store, which may never answer.
      return Effect.exit(Effect.interruptible(pauseJob(pause.by, pause.message))).pipe(
        Effect.tap(Effect.sync(() => this.paused.openUnsafe())),
        // It ends with an interruption, which is meant for the program.
        Effect.flatMap((exit): Effect.Effect<void> =>
          Exit.isFailure(exit) && Cause.hasDies(exit.cause) ? Effect.failCause(exit.cause) : Effect.void
        )
      )
    })
  }
}
