// Commands side by side: how many times as fast the one is as the other, beside how many it should be.
import { byTurns, type Command, isInstalled, ratio, type Result } from "../measure.ts"

/** A command that is compared with others. */
export interface Entrant extends Command {
  /** The program that it needs, where that is not its first word. */
  readonly needs?: string
  /** It takes so long that once is enough. */
  readonly isSlow?: boolean
  /** It does in Node no more than what has to be done. */
  readonly isLimit?: boolean
  /** Throws if what it did is wrong. */
  readonly after?: () => void
}

/** How many times as fast the one should be as the other; 0 where it is only measured. */
export type Pair = readonly [own: string, peer: string, target: number]

export interface Contest {
  readonly title?: string
  readonly entrants: ReadonlyArray<Entrant>
  readonly pairs: ReadonlyArray<Pair>
  /** How long the first should take at most. */
  readonly targetMillis?: number
  readonly rounds?: number
  /** What is done before each run, outside of its time. */
  readonly before?: () => void
  /** What is made of the results before they are shown. */
  readonly adjust?: (results: ReadonlyArray<Result>) => ReadonlyArray<Result>
}

const rounds = 5
/** A target that Node misses by itself is met by this much of Node's speed. */
const partOfNode = 0.9

const showRow = (...cells: ReadonlyArray<string>): void => {
  const widths = [22, 10, 22, 10, 9, 8]
  console.log(cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join("").trimEnd())
}

const millisOf = (result: Result): string => `${result.millis.toFixed(0)} ms`

/** Whether a target is met, where need be beside what is possible in Node. */
const verdict = (target: number, own: Result, peer: Result, nodes: ReadonlyArray<Result>): string => {
  if (ratio(peer, own) >= target) return "met"
  const [node] = nodes.toSorted((a, b) => a.millis - b.millis)
  if (node === undefined) return "missed"
  const [ofPeer, ofNode] = [ratio(peer, node), ratio(node, own)]
  const isMet = ofPeer < target && ofNode >= partOfNode
  return `${isMet ? "met" : "missed"}: plain Node × ${ofPeer.toFixed(2)}, × ${ofNode.toFixed(2)} of that`
}

const show = ({ entrants, pairs, targetMillis, title }: Contest, results: ReadonlyArray<Result>): void => {
  const find = (name: string) => results.find((result) => result.name === name)
  const nodes = results.filter(({ name }) => entrants.some((entrant) => entrant.name === name && entrant.isLimit))
  showRow(title ?? "", "median", "beside", "median", "speed", "target")
  const [first] = results
  if (targetMillis !== undefined && first !== undefined) {
    showRow(
      first.name,
      millisOf(first),
      "",
      "",
      "",
      `${targetMillis} ms`,
      first.millis <= targetMillis ? "met" : "missed"
    )
  }
  for (const [name, beside, target] of pairs) {
    const [own, peer] = [find(name), find(beside)]
    if (own === undefined) showRow(name, "not installed")
    else if (peer === undefined) showRow(name, millisOf(own), beside, "not installed")
    else {
      const wanted = target === 0 ? [] : [`× ${target}`, verdict(target, own, peer, nodes)]
      showRow(name, millisOf(own), beside, millisOf(peer), `× ${ratio(peer, own).toFixed(2)}`, ...wanted)
    }
  }
}

/** Runs those that are installed by turns, and shows what comes out. */
export const hold = (contest: Contest): void => {
  const present = contest.entrants.filter(({ argv, needs = argv[0] }) => isInstalled(needs))
  const run = (count: number, entrants: ReadonlyArray<Entrant>) =>
    byTurns(count, entrants, () => contest.before?.(), ({ after }) => after?.())
  const results = [
    ...run(contest.rounds ?? rounds, present.filter(({ isSlow = false }) => !isSlow)),
    ...run(1, present.filter(({ isSlow = false }) => isSlow))
  ]
  show(contest, contest.adjust?.(results) ?? results)
}
