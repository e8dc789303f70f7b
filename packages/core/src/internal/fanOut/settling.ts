/**
 * Settles elements by what their tasks came to and what the program says of them. What a function of it throws is the
 * failure of that element.
 */
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Element } from "../../FanOut.ts"
import type { Ended } from "../task/taskRun.ts"
import { Defects } from "./defects.ts"
import type { FanOut } from "./engine.ts"
import type { Entry, Ledger } from "./ledger.ts"
import { Mismatch } from "./payloads.ts"

type Failed = Extract<Ended, { readonly _tag: "Failed" }>

export const died = (thrown: unknown): Failed => ({ _tag: "Failed", cause: Cause.die(thrown) })

export class Settling {
  private readonly spec: FanOut
  private readonly ledger: Ledger
  private readonly defects = new Defects()

  constructor(spec: FanOut, ledger: Ledger) {
    this.spec = spec
    this.ledger = ledger
  }

  /** Settles an element, and gives what tells of it where its task has died, or what the program says about it. */
  settle(entry: Entry, ending: Ended): Effect.Effect<void> | undefined {
    const { keepsStack } = this.defects
    const { name, options, run, task } = this.spec
    const keep = { keepsAll: options.keep === "all", keepsStack }
    const value = ending._tag === "Done" ? Option.some(ending.value) : Option.none()
    const replaced = this.replace(entry, ending, value)
    const ended = typeof replaced === "boolean" ? ending : replaced
    // The key is for people who read rows; what is plain done has none.
    const isNamed = ended._tag !== "Done" || (keep.keepsAll && replaced !== true)
    const named = isNamed ? this.keyOf(entry) : ""
    const key = typeof named === "string" ? named : entry.cursor
    if (replaced !== true) {
      let outcome = task.outcome(ended, keep)
      if (typeof named !== "string" && outcome._tag !== "Failed") outcome = task.outcome(named, keep)
      this.ledger.settle(entry, key, outcome, outcome._tag === "Done" ? value : Option.none())
    }
    // What does not fit its schema has no key for that reason.
    const told = typeof named === "string" || entry.encoded instanceof Mismatch ? ended : named
    return this.defects.log(told, () => `Task "${task.tag}" of "${key}" in fan-out "${name}" of job ${run.id}`)
  }

  /** Puts parts in the place of an element that has some, and tells whether it has; or what was thrown. */
  private replace(entry: Entry, ending: Ended, value: Option.Option<unknown>): boolean | Failed {
    const { parts } = this.spec.options
    const isWhole = entry.kind !== "item" || ending._tag === "Skipped" || entry.encoded instanceof Mismatch
    if (isWhole || parts === undefined) return false
    try {
      const given = parts(entry, value)
      if (given === undefined) return false
      checkBalance(given)
      this.ledger.replace(entry, value, given)
      return true
    } catch (thrown) {
      return died(thrown)
    }
  }

  private keyOf({ payload }: Entry): string | Failed {
    try {
      return this.spec.task.options.key(payload)
    } catch (thrown) {
      return died(thrown)
    }
  }
}

/** Parts take the place of an element whole, or not at all. */
const checkBalance = (parts: ReadonlyArray<Element<unknown>>): void => {
  const open: Array<string> = []
  for (const part of parts) {
    if (part._tag === "Item" && part.opens === true) open.push(part.cursor)
    else if (part._tag === "After" && open.pop() === undefined) {
      throw new Error(`Parts gave After "${part.cursor}" where no bracket of theirs is open`)
    }
  }
  if (open.length > 0) throw new Error(`The bracket "${open.at(-1)}" among parts does not end`)
}
