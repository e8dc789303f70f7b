/**
 * What a task keeps from one attempt to the next: its checkpoint, and what it has added to its units.
 */
import * as Schema from "effect/Schema"

export type Units = ReadonlyMap<string, number>

export const noUnits: Units = new Map()

export class Kept {
  checkpoint: Schema.Json | undefined
  /** What the task had added when it saved its checkpoint: its next attempt goes on from there. */
  saved: Units
  private added: Map<string, number> | undefined = undefined

  constructor(checkpoint?: Schema.Json, saved: Units = noUnits) {
    this.checkpoint = checkpoint
    this.saved = saved
  }

  /** What the task has added so far. */
  get units(): Units {
    return this.added ?? this.saved
  }

  add(unit: string, amount: number): void {
    this.added ??= new Map(this.saved)
    this.added.set(unit, (this.added.get(unit) ?? 0) + amount)
  }

  save(checkpoint: Schema.Json): void {
    this.checkpoint = checkpoint
    this.saved = new Map(this.units)
  }

  /** Takes back what was added since the checkpoint, for a new attempt. */
  restart(): void {
    this.added = undefined
  }
}

/** What is stored of it. Short names: it is written hundreds of times a second. */
export const Stored = Schema.Struct({
  s: Schema.optionalKey(Schema.Json),
  u: Schema.optionalKey(Schema.Record(Schema.String, Schema.Number))
})

/** What is to be stored of it: nothing of what has no checkpoint, since that starts over. */
export const store = (kept: Kept | undefined): typeof Stored.Type =>
  kept?.checkpoint === undefined ? {} : { s: kept.checkpoint, u: Object.fromEntries(kept.saved) }

export const restore = ({ s, u }: typeof Stored.Type): Kept | undefined =>
  s === undefined ? undefined : new Kept(s, new Map(Object.entries(u ?? {})))
