/**
 * What the store in memory keeps beside the jobs themselves: rates, concurrencies and claimers, which all processes
 * share, and the samples of each job.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { JobStore } from "../../JobStore.ts"
import * as Rows from "../store/rows.ts"
import { takeTurns } from "../store/turns.ts"
import type { Memory } from "./memory.ts"

type Operations<Names extends keyof JobStore["Service"]> = Pick<JobStore["Service"], Names>

const rates = (memory: Memory): Operations<"rates" | "setRate" | "takeTurns"> => ({
  rates: memory.run(() =>
    Array.from(memory.rates, ([name, { perSecond }]) => ({ name, perSecond }))
      .toSorted((left, right) => left.name < right.name ? -1 : 1)
  ),
  setRate: (name, perSecond) =>
    memory.write(() => {
      if (perSecond === null) memory.rates.delete(name)
      else memory.rates.set(name, { perSecond, freeAt: memory.rates.get(name)?.freeAt ?? 0 })
    }),
  takeTurns: (name, wanted) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      memory.run(() => {
        const rate = memory.rates.get(name)
        if (rate === undefined) return Option.none()
        const { freeAt, turns } = takeTurns(rate, wanted, now)
        memory.rates.set(name, { ...rate, freeAt })
        return Option.some(turns)
      }))
})

const concurrencies = (memory: Memory): Operations<"concurrencies" | "setConcurrency"> => ({
  concurrencies: memory.run(() =>
    Array.from(memory.concurrencies, ([name, most]) => ({ name, most }))
      .toSorted((left, right) => left.name < right.name ? -1 : 1)
  ),
  setConcurrency: (name, most) =>
    memory.write(() => {
      if (most === null) memory.concurrencies.delete(name)
      else memory.concurrencies.set(name, most)
    })
})

const claimers = (memory: Memory): Operations<"announce" | "claimers"> => ({
  announce: (claimer, millis) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      memory.run(() => {
        const row = Rows.encodeClaimer(claimer)
        for (const [owner, { until }] of memory.claimers) if (until <= now) memory.claimers.delete(owner)
        if (claimer.places === 0) memory.claimers.delete(row.owner)
        else memory.claimers.set(row.owner, { row, until: now + millis })
      })),
  claimers: Effect.flatMap(Clock.currentTimeMillis, (now) =>
    memory.run(() =>
      Array.from(memory.claimers)
        .filter(([, { until }]) => until > now)
        .toSorted(([left], [right]) => left < right ? -1 : 1)
        .map(([, { row }]) => Rows.decodeClaimer(row))
    ))
})

export const samples = (memory: Memory): Operations<"history" | "saveHistory" | "tasks" | "saveTasks"> => ({
  history: (id) =>
    memory.run(() => {
      const history = memory.jobs.get(id)?.history
      return history === undefined ? Option.none() : Option.some(Rows.decodeHistory({ history }))
    }),
  saveHistory: (id, token, history) =>
    memory.write(() => {
      memory.owned(id, token).history = Rows.encodeHistory(history)
    }),
  tasks: (id) =>
    memory.run(() => {
      const tasks = memory.jobs.get(id)?.tasks
      return tasks === undefined ? Option.none() : Option.some(Rows.decodeTasks({ tasks }))
    }),
  saveTasks: (id, token, tasks) =>
    memory.write(() => {
      memory.owned(id, token).tasks = Rows.encodeTasks(tasks)
    })
})

/** What all processes share. */
export const sharedByProcesses = (memory: Memory) => ({
  ...rates(memory),
  ...concurrencies(memory),
  ...claimers(memory)
})
