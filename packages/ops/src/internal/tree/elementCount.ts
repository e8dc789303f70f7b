/**
 * Counts beforehand what a job has to do.
 */
import * as Checkpoint from "@fanout/core/Checkpoint"
import type { JobContext } from "@fanout/core/JobContext"
import * as Progress from "@fanout/core/Progress"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

const total = Checkpoint.make("total", Schema.Natural)

/** What is over by then needs no percentage. */
const after = "500 millis"

/**
 * Tells how many elements there are in all, counted beside the work, and by one run of the job alone. Where they can't
 * be counted, it is not known.
 */
export const countElements = <R>(
  elements: Stream.Stream<unknown, never, R>
): Effect.Effect<void, never, JobContext | R> =>
  total.get.pipe(
    Effect.flatMap(Option.match({
      onNone: () => Stream.runCount(elements).pipe(Effect.delay(after), Effect.tap(total.save)),
      onSome: Effect.succeed
    })),
    Effect.flatMap((count) => Progress.total("items", count)),
    Effect.ignore
  )
