/**
 * Leaves files and folders out by rules, which are written as lines of a `.gitignore` are.
 *
 * The last rule that a path matches decides, and what is in a folder that is left out is left out with it. Upper and
 * lower case differ. A character that takes two units of UTF-16 counts as two, and a byte that is not UTF-8 as one.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import ignore from "ignore"
import * as FilePath from "./FilePath.ts"

// Some longer ones can't be compiled, and no name that the kernel takes is as long.
const maxRuleLength = 4096

const flaws = {
  TooLong: `it has more than ${maxRuleLength} characters`,
  ManyLines: "it has a line break or a zero byte in it; a question mark stands for any character",
  Comment: "it begins with # and is a comment; \\# stands for a # at the beginning",
  Empty: "it names nothing",
  OpenEnd: "it ends with a backslash; \\\\ stands for a backslash",
  NoName: "it has a dot, two dots or nothing between its slashes, and no path below a source has"
}

/** Brackets that stand for a character. A closing one at their beginning is one of their characters. */
const brackets = /(?<!\\)(?<escaped>(?:\\\\)*)\[[!^]?\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*\]/g

/** Why a text is no rule, if it is none. */
const flawOf = (text: string): keyof typeof flaws | undefined => {
  if (text.length > maxRuleLength) return "TooLong"
  if (/[\n\0]/.test(text)) return "ManyLines"
  if (text.startsWith("#")) return "Comment"
  if (/(?<!\\)(?:\\\\)*\\$/.test(text)) return "OpenEnd"
  const path = text.replace(/^!/, "").replace(/ +$/, "").replace(/^\//, "").replace(/\/$/, "")
  // A slash within brackets is one of their characters, and parts no names.
  const names = path.replace(brackets, "$<escaped>[]").split("/")
  if (names.length === 1 && names[0] === "") return "Empty"
  return names.some((name) => name === "" || name === "." || name === "..") ? "NoName" : undefined
}

/**
 * Schema for rules that can match something. A rule without `!` excludes, one with it takes an earlier rule back.
 *
 * @category schemas
 */
export const Rule = Schema.String.pipe(
  Schema.check(Schema.makeFilter((text: string) => flawOf(text) === undefined, {
    expected: "a line of .gitignore that can match something"
  })),
  Schema.brand("@fanout/ops/Filter/Rule")
)

/**
 * Rule that excludes what it matches, or takes that back.
 *
 * @category models
 */
export type Rule = typeof Rule.Type

/**
 * Error of a text that is no rule, or one that no path could match.
 *
 * @category errors
 */
export class InvalidRule extends Schema.TaggedError<InvalidRule>("@fanout/ops/Filter/InvalidRule")("InvalidRule", {
  text: Schema.String,
  flaw: Schema.Literals(["TooLong", "ManyLines", "Comment", "Empty", "OpenEnd", "NoName"])
}) {
  override get message(): string {
    return `"${FilePath.printable(this.text.slice(0, 200))}" is no rule: ${flaws[this.flaw]}`
  }
}

/**
 * Reads one rule.
 *
 * @category constructors
 */
export const parse = (text: string): Effect.Effect<Rule, InvalidRule> => {
  const flaw = flawOf(text)
  return flaw === undefined ? Effect.succeed(Rule.make(text)) : Effect.fail(new InvalidRule({ text, flaw }))
}

/**
 * The rules of a file, and its lines that no path could match, by their numbers.
 *
 * @category models
 */
export interface RulesOfFile {
  readonly rules: ReadonlyArray<Rule>
  readonly invalid: ReadonlyArray<{ readonly line: number; readonly error: InvalidRule }>
}

/**
 * Reads the rules of a file: its lines, without blank ones and comments.
 *
 * @category constructors
 */
export const parseFile = (text: string): RulesOfFile => {
  const rules: Array<Rule> = []
  const invalid: Array<RulesOfFile["invalid"][number]> = []
  for (const [index, line] of text.replace(/^\ufeff/, "").split(/\r?\n|\r$/).entries()) {
    if (/^(?:#| *$)/.test(line)) continue
    const flaw = flawOf(line)
    if (flaw === undefined) rules.push(Rule.make(line))
    else invalid.push({ line: index + 1, error: new InvalidRule({ text: line, flaw }) })
  }
  return { rules, invalid }
}

/**
 * Tells whether something is to be left out, by its path under what the rules are for.
 *
 * @category models
 */
export type Filter = (path: FilePath.FilePath, isFolder: boolean) => boolean

/**
 * Filter that leaves nothing out.
 *
 * @category constructors
 */
export const none: Filter = () => false

const options = { ignorecase: false }

// The library remembers each path that it was asked about.
const pathsRemembered = 4096

/** Rules, and what is remembered of the paths that they were asked about last. */
class Asked {
  private readonly rules: ignore.Ignore
  private recent: ignore.Ignore
  private left = 0

  constructor(rules: ReadonlyArray<Rule>) {
    // A text of lines, unlike an array of them, is read as a file is: nothing but spaces is taken from their ends. The
    // empty ones keep a mark of byte order, and a carriage return, in the rules beside them.
    this.rules = ignore(options).add(["", ...rules, ""].join("\r\n"))
    this.recent = this.rules
  }

  excludes(path: string): boolean {
    if (this.left-- === 0) this.forget(path)
    return this.recent.ignores(path)
  }

  /** Forgets all paths. Those above this one are asked about downwards: the library would go up by recursion. */
  private forget(path: string): void {
    this.left = pathsRemembered
    this.recent = ignore(options).add(this.rules)
    for (let end = path.indexOf("/") + 1; end > 0 && end < path.length; end = path.indexOf("/", end) + 1) {
      this.recent.ignores(path.slice(0, end))
    }
  }
}

/**
 * The same filter for paths that begin in a folder, whose own begins where those of the filter do.
 *
 * @category constructors
 */
export const within = (filter: Filter, folder: FilePath.FilePath): Filter =>
  filter === none ? none : (path, isFolder) => filter(FilePath.join(folder, path), isFolder)

/**
 * Creates the filter of rules, of which later ones win.
 *
 * **Gotchas**
 *
 * Paths are those below a source: not empty, not absolute, and without `.` or `..`.
 *
 * @category constructors
 */
export const make = (rules: ReadonlyArray<Rule>): Filter => {
  if (rules.length === 0) return none
  const asked = new Asked(rules)
  return (path, isFolder) => asked.excludes(isFolder ? `${path}/` : path)
}
