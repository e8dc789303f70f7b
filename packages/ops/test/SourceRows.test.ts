import { assert, describe, it } from "@effect/vitest"
import { OutcomeRow } from "@fanout/core/JobStore"
import * as SourceRows from "@fanout/ops/SourceRows"
import * as Schema from "effect/Schema"
import * as SourceCursor from "../src/internal/tree/sourceCursor.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** What happens to a store of rows: an element is recorded, or again after a retry, or its row is removed. */
const Step = Schema.Struct({ number: int(0, 40), how: Schema.Literals(["records", "records", "removes", "reads"]) })

const rowOf = (number: number, seq: number) =>
  new OutcomeRow({
    fanOut: "files",
    cursor: SourceCursor.format(number, `at ${number}`),
    key: String(seq),
    payload: null,
    origin: null,
    outcome: { _tag: "Done", value: number },
    attempt: 1,
    at: 0
  })

/** What a row tells, as a row of one thing. */
const lineOf = (row: OutcomeRow) => [{ number: SourceCursor.numberOf(row.cursor), row }]

/** What a row tells where each stands for one, two or three things, of which some are missing. */
const linesOf = (row: OutcomeRow) => {
  const place = SourceCursor.numberOf(row.cursor)
  return [{ number: 3 * place, count: 1 + place % 3, row }]
}

/** Reads the rows of a store by pages into a sorter, as an output does. */
class Reader {
  readonly rows = new Map<number, readonly [seq: number, row: OutcomeRow]>()
  readonly given: Array<OutcomeRow> = []
  reads = 0
  private seq = 0
  private after = 0
  private readonly page: number
  private readonly sorter: SourceRows.Sorter<ReturnType<typeof lineOf>[number]>

  constructor(most: number, page: number, lines: (row: OutcomeRow) => ReturnType<typeof lineOf> = lineOf) {
    this.sorter = new SourceRows.Sorter(lines, most)
    this.page = page
  }

  record(number: number): void {
    this.rows.set(number, [++this.seq, rowOf(number, this.seq)])
  }

  read(): void {
    for (;;) {
      const behind = Array.from(this.rows.values()).filter(([seq]) => seq > this.after).toSorted(([a], [b]) => a - b)
      const rows = behind.slice(0, this.page)
      this.reads += rows.length
      this.given.push(...this.sorter.add(rows).map(({ row }) => row))
      this.after = this.sorter.rereadAfter ?? rows.at(-1)?.[0] ?? this.after
      if (rows.length < this.page && this.sorter.rereadAfter === undefined) return
    }
  }

  end(): void {
    do {
      this.read()
      this.given.push(...this.sorter.end().map(({ row }) => row))
      this.after = this.sorter.rereadAfter ?? this.after
    } while (this.sorter.rereadAfter !== undefined)
  }
}

const numbersOf = (rows: ReadonlyArray<OutcomeRow>) => rows.map(({ cursor }) => SourceCursor.numberOf(cursor))

describe("SourceRows", () => {
  it.prop(
    "gives every row once, in the order of the source, however few it may hold",
    {
      order: Schema.Array(int(0, 1000)).check(Schema.isMaxLength(60)),
      most: int(1, 8),
      page: int(1, 7),
      every: int(1, 9),
      isWide: Schema.Boolean
    },
    ({ every, isWide, most, order, page }) => {
      // Each number once, recorded in any order, with gaps.
      const numbers = Array.from(new Set(order.map((number) => number % 97)))
      const reader = new Reader(most, page, isWide ? linesOf : lineOf)
      numbers.forEach((number, i) => {
        reader.record(number)
        if (i % every === 0) reader.read()
      })
      reader.end()
      assert.deepStrictEqual(numbersOf(reader.given), numbers.toSorted((a, b) => a - b))
    }
  )

  it.prop(
    "gives what the store has in the end, whatever retries do meanwhile",
    { steps: Schema.Array(Step).check(Schema.isMaxLength(80)), most: int(1, 8), page: int(1, 7) },
    ({ most, page, steps }) => {
      const reader = new Reader(most, page)
      for (const { how, number } of steps) {
        if (how === "records") reader.record(number)
        else if (how === "removes") reader.rows.delete(number)
        else reader.read()
      }
      reader.end()
      const keys = new Set(reader.given.map(({ key }) => key))
      assert.strictEqual(keys.size, reader.given.length, "no row is given twice")
      const numbers = numbersOf(reader.given)
      const descents = numbers.filter((number, i) => number <= (numbers[i - 1] ?? -1))
      assert.isAtMost(descents.length, 1, "what comes late is given last")
      const missing = Array.from(reader.rows.values()).filter(([seq]) => !keys.has(String(seq)))
      assert.deepStrictEqual(missing.map(([, row]) => row.cursor), [])
    }
  )

  it("goes on behind as many things as a row is of", () => {
    const reader = new Reader(100, 10, (row) => [{ number: 3 * SourceCursor.numberOf(row.cursor), count: 3, row }])
    for (const place of [2, 0, 3, 1]) reader.record(place)
    reader.read()
    assert.deepStrictEqual(numbersOf(reader.given), [0, 1, 2, 3])
  })

  it("reads rows again only once for each pass, in whatever order blocks of them were recorded", () => {
    const reader = new Reader(500, 100)
    for (const block of [2, 1, 0]) {
      for (let number = 0; number < 4000; number++) reader.record(block * 4000 + number)
    }
    reader.end()
    assert.deepStrictEqual(numbersOf(reader.given), Array.from({ length: 12_000 }, (_, number) => number))
    assert.isBelow(reader.reads, 130_000)
  })

  it("gives what was retried after all else, also what has to be read again", () => {
    const reader = new Reader(1, 10)
    reader.record(0)
    reader.read()
    for (const number of [0, 5, 3]) reader.record(number)
    reader.end()
    assert.deepStrictEqual(numbersOf(reader.given), [0, 3, 5, 0])
  })

  it("reads what is behind an element that takes long twice, instead of keeping it", () => {
    const reader = new Reader(100, 50)
    for (let number = 1; number < 10_000; number++) {
      reader.record(number)
      if (number % 100 === 0) reader.read()
    }
    assert.lengthOf(reader.given, 0)
    reader.record(0)
    reader.end()
    assert.deepStrictEqual(numbersOf(reader.given), Array.from({ length: 10_000 }, (_, number) => number))
    assert.isAbove(reader.reads, 19_000)
    assert.isBelow(reader.reads, 21_000)
  })

  it("gives last, and once, what has no place in the order, in an order of its own", () => {
    const lines = [[1, "b"], [2, ""], [0, ""], [1, "a"], [0, "z"], [1, ""]] as const
    const rows = lines.map(([number], seq) => [seq + 1, rowOf(number, seq)] as const)
    const sorter = new SourceRows.Sorter(({ key }) => {
      const [number, latePlace] = lines[Number(key)] ?? [0, ""]
      return [{ number, latePlace }]
    })
    const texts = (given: ReadonlyArray<{ readonly number: number; readonly latePlace: string }>) =>
      given.map(({ latePlace, number }) => `${number}${latePlace}`)
    assert.deepStrictEqual(texts(sorter.add(rows)), ["0", "1", "2"])
    assert.deepStrictEqual(texts(sorter.add(rows)), [])
    assert.deepStrictEqual(texts(sorter.end()), ["0z", "1a", "1b"])
  })
})
