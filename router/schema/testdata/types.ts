// Client of Test 1.2.3. Generated; DO NOT EDIT.

export interface Requests {
  /** Posts.
   * Returns where. */
  post: [Post, PagePost];
  posts: [Empty, PagePageBase];
  sum: [number[] | null, number];
  "odd \"type\"": [ClientData | null, Tree | null];
}

export interface Streams {
  watch: [Colour, Level];
}

export interface Events {
  /** Somebody types. */
  typing: string;
}

export interface Emitted {
  /** Somebody else types. */
  typing: Author;
}

export interface Published {
  /** I type. */
  typing: Level;
}

export interface Author {
  name: string;
  banned: boolean;
  email?: string;
}

export interface Base {
  /** Decimal, because JavaScript has no such integers */
  id: string;
  created: string;
}

export interface ClientData {
  Error: ErrorData;
}

export type Colour = "red" | "green";

export type Day = "mon" | "tue";

export type Empty = Record<string, never>;

export interface ErrorData {
  Code: number;
}

export type Level = 1 | 2 | 3;

export interface PageBase {
  items: (Base | null)[] | null;
  next: number | null;
}

export interface PagePageBase {
  items: PageBase[] | null;
  next: number | null;
}

export interface PagePost {
  items: Post[] | null;
  next: number | null;
}

export interface Post {
  /** Decimal, because JavaScript has no such integers */
  id: string;
  created: string;
  name?: string;
  email?: string;
  banned: string;
  /** What it says.
   * Markdown, not *HTML* /. */
  text: string;
  colour: Colour;
  level?: Level;
  days: { [key: string]: Day } | null;
  tags: string[] | null;
  labels?: { [key: string]: string };
  counts: { [key: string]: number | null } | null;
  data: string | null;
  key: [number, number];
  matrix: ([number, number, number])[] | null;
  addr: string;
  /** nanoseconds */
  timeout: number;
  any: unknown;
  raw: unknown;
  number: number;
  parent: Post | null;
  replies: Thread | null;
  Inline: {
    A: number;
    B: number;
  };
  "odd-name": number;
  quoted: string | null;
  seconds?: number;
  Untagged: number;
  interface?: unknown;
}

export type Thread = Post[];

export type Tree = { [key: string]: Tree | null };

