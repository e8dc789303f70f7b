/**
 * Takes down what is copied into one placement.
 */
import type * as FilePath from "../../FilePath.ts"
import { type Copied, type Counts, nothing, type Rest, sum } from "../steps/unit.ts"

/** What is copied into one placement, or tells of one file. */
export class Bucket {
  counts: Counts = nothing
  readonly rest: Array<Rest> = []
  private readonly digests = new Map<FilePath.FilePath, { names: Array<FilePath.FilePath>; digests: Array<string> }>()
  private readonly editions = new Map<FilePath.FilePath, {
    readonly names: Array<FilePath.FilePath>
    readonly editions: Array<string>
    readonly linkedAs: Array<string>
  }>()

  add(counts: Partial<Counts>): void {
    this.counts = sum(this.counts, { ...nothing, ...counts })
  }

  addDigest(path: FilePath.FilePath, name: FilePath.FilePath, digest: string): void {
    const known = this.digests.get(path) ?? { names: [], digests: [] }
    known.names.push(name)
    known.digests.push(digest)
    this.digests.set(path, known)
  }

  addEdition(path: FilePath.FilePath, name: FilePath.FilePath, edition: string, linkedAs: string): void {
    const known = this.editions.get(path) ?? { names: [], editions: [], linkedAs: [] }
    known.names.push(name)
    known.editions.push(edition)
    known.linkedAs.push(linkedAs)
    this.editions.set(path, known)
  }

  get copied(): Copied {
    const { counts, rest } = this
    return {
      counts,
      rest,
      digests: Array.from(this.digests, ([path, known]) => ({ path, ...known })),
      editions: Array.from(this.editions, ([path, known]) => ({ path, ...known }))
    }
  }
}
