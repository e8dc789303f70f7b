import { appendFileSync } from "node:fs"
import { setTimeout } from "node:timers/promises"

const millis = Number(process.env["MILLIS"] ?? 20)

/** Stands for a call of a service: it takes some 20 ms, and does in the middle what it is for. */
export const work = async (n: number): Promise<number> => {
  await setTimeout(millis * Math.random())
  appendFileSync("done.txt", `${n}\n`)
  await setTimeout(millis * Math.random())
  return n * n
}
