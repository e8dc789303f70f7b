/**
 * Gives what is known, and asks the file system only where nothing is, or where it answers at once.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"

// Not each of them gives an element: what is left out gives none, and may be all there is.
const stepsPerChunk = 512

/** So long what is known waits for more: each chunk costs whoever takes it more than a quick answer does. */
const patienceMillis = 1

/** A walk: it goes on by what it knows until something has to be asked, or it is over. */
export abstract class Asking<Element, Question> {
  protected chunk: Array<Element> = []
  /** What has to be asked before the walk can go on. */
  protected question: Question | undefined

  constructor(first: Question | undefined) {
    this.question = first
  }

  /** Goes one step on; false where the walk is over. */
  protected abstract step(): boolean

  protected abstract answer(question: Question): Effect.Effect<void>

  /** The next elements: those that are known without asking, or are so quickly. */
  readonly pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Element>> = Effect.clockWith((clock) =>
    this.pullUntil(clock, clock.currentTimeMillisUnsafe() + patienceMillis)
  )

  private pullUntil(clock: Clock.Clock, until: number): Pull.Pull<Arr.NonEmptyReadonlyArray<Element>> {
    let isOver = false
    for (let n = 0; n < stepsPerChunk && this.question === undefined && !isOver; n++) isOver = !this.step()
    const { chunk, question } = this
    const isDue = question === undefined || chunk.length >= stepsPerChunk || clock.currentTimeMillisUnsafe() > until
    if (isDue && Arr.isArrayNonEmpty(chunk)) {
      this.chunk = []
      return Effect.succeed(chunk)
    }
    if (question === undefined) return isOver ? Cause.done() : Effect.andThen(Effect.yieldNow, this.pull)
    this.question = undefined
    return Effect.flatMap(this.answer(question), () => this.pullUntil(clock, until))
  }
}
