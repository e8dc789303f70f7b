/**
 * The state that a task keeps from one attempt to the next: the checkpoint, and the amounts added to units.
 */
import * as Schema from "effect/Schema"
import * as Sums from "../sums.ts"

export type Units = ReadonlyMap<string, number>

export const noUnits: Units = new Map()

export class Kept {
  checkpoint: Schema.Json | undefined
  /** The units at the time of the checkpoint. The next attempt starts with these units. */
  saved: Units
  /** How often the task has begun anew. */
  starts = 0
  private added: Map<string, number> | undefined = undefined

  constructor(checkpoint?: Schema.Json, saved: Units = noUnits) {
    this.checkpoint = checkpoint
    this.saved = saved
  }

  get units(): Units {
    return this.added ?? this.saved
  }

  add(unit: string, amount: number): void {
    this.added ??= new Map(this.saved)
    Sums.add(this.added, unit, amount)
  }

  save(checkpoint: Schema.Json, startsOver: boolean): void {
    if (startsOver) {
      this.starts++
      this.added = new Map()
    }
    this.checkpoint = checkpoint
    this.saved = new Map(this.units)
  }

  /** Takes back all amounts that the task has added since the checkpoint. */
  restart(): void {
    this.added = undefined
  }
}

/** The stored form. The names are short because a store writes the form hundreds of times a second. */
export const Stored = Schema.Struct({
  s: Schema.optionalKey(Schema.Json),
  u: Schema.optionalKey(Schema.Record(Schema.String, Schema.Number))
})

/** Turns the state into the stored form. A task without a checkpoint starts over, and stores nothing. */
export const store = (kept: Kept | undefined): typeof Stored.Type =>
  kept?.checkpoint === undefined ? {} : { s: kept.checkpoint, u: Object.fromEntries(kept.saved) }

export const restore = ({ s, u }: typeof Stored.Type): Kept | undefined =>
  s === undefined ? undefined : new Kept(s, new Map(Object.entries(u ?? {})))
