/**
 * Routines: work of many calls to the file system, written once for a thread that may wait for each of them and for
 * one that must not.
 *
 * A routine is a generator. `yield*` makes a call, or another routine, and gives the answer:
 *
 *     function* sizeOf(calls: Calls, folder: number, name: FilePath): Routine<number> {
 *       const stat = yield* calls.lstat(folder, name)
 *       return isCode(stat) ? 0 : stat.sizeBytes
 *     }
 *
 * `now` makes the calls at once, and `later` has them made one after the other while other work goes on. A thread that
 * copies many files spends more on generators than on some of its calls. So the build adds to each routine a plain
 * function of the same text without `yield*`, and has `now` call that: see `tools/plainRoutines.mjs`, which says what a
 * routine must look like.
 */
import type { Answer, Call, Work } from "../../Calls.ts"

/** Work of many calls. */
export type Routine<A> = Work<A>

/** Does a routine at once. */
export const now = <Args extends ReadonlyArray<unknown>, A>(
  routine: (...args: Args) => Routine<A>,
  ...args: Args
): A => {
  const steps = routine(...args)
  let step = steps.next()
  while (step.done !== true) step = steps.next(step.value.now())
  return step.value
}

/** What a routine has come to: a value, or what it has thrown. */
export type Ended<A> = { readonly value: A } | { readonly defect: unknown }

/**
 * Does a routine, each call of which is made as `make` does it: at once or later. It is done to its end: whoever wants
 * to stop it has it end by itself.
 */
export const later = <A>(
  steps: Routine<A>,
  make: (call: Call<unknown>, done: (answer: Answer<unknown>) => void) => void,
  end: (ended: Ended<A>) => void
): void => {
  let answers: Array<Answer<unknown>> = [undefined]
  let isGoingOn = false
  // Answers that are there at once are taken in a loop: a call within a call for each would overflow the stack.
  const goOn = (): void => {
    isGoingOn = true
    try {
      for (let [answer] = answers; answers.length > 0; [answer] = answers) {
        answers = []
        const step = steps.next(answer)
        if (step.done === true) return end({ value: step.value })
        make(step.value, (answer) => {
          answers = [answer]
          if (!isGoingOn) goOn()
        })
      }
    } catch (defect) {
      end({ defect })
    } finally {
      isGoingOn = false
    }
  }
  goOn()
}
