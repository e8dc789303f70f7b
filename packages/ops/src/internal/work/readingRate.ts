/**
 * Reads at the rate of a job, if it has one.
 */
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Files from "../../Files.ts"

/** A rate that has more than that for a tenth of a second is none that matters here. */
const fastBytes = 2 ** 27

/** Whether files are to be read at a rate. It is held by who runs the task alone: on threads nobody knows of it. */
export const isLimited: Effect.Effect<boolean> = Effect.map(
  TaskDispatcher.pieceBytes(fastBytes),
  (most) => most < fastBytes
)

/** Has it done by whoever may, unless files are to be read at a rate: others know of none. */
export const unlessLimited = <A, E, R>(
  shared: Effect.Effect<A, E, R>,
  alone: Effect.Effect<A, E, R | Files.Files>,
  bytesOf: (done: A) => number = () => 0
): Effect.Effect<A, E, R | Files.Files> =>
  Effect.flatMap(isLimited, (isLimited) =>
    isLimited ? alone : shared.pipe(
      Effect.tap((done) => TaskDispatcher.throttle(bytesOf(done))),
      // Where a rate is set meanwhile, it is for the files that follow.
      Effect.provideService(TaskDispatcher.Current, Option.none())
    ))

/** Reads at the rate: as much at once as may be. */
export const readAt = (file: Files.OpenFile): Files.OpenFile["readAt"] => (buffer, offset) =>
  TaskDispatcher.pieceBytes(buffer.length).pipe(
    Effect.flatMap((most) => file.readAt(buffer.subarray(0, most), offset)),
    Effect.tap(TaskDispatcher.throttle)
  )
