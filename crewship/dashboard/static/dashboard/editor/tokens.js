// Where the parts of a text are that get a colour. Nothing here judges: the server does.

const JSONC = /(?<comment>\/\/[^\n]*|\/\*[^]*?(?:\*\/|$))|(?<string>"(?:[^"\\\n]|\\.)*"?)|(?<number>-?\d[\d.eE+-]*|\b(?:true|false|null)\b)/g;
const TOML = /(?<comment>#[^\n]*)|(?<string>"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?)|(?<key>^[ \t]*\[[^\]\n]*\]|[\w.-]+(?=[ \t]*=))|(?<number>\b(?:true|false)\b|-?\b\d[\w.:+-]*)/gm;
const COLON = /[ \t\r\n]*:/y;

export function isToml(text) {
  const start = text.replace(/^\ufeff/, "").trimStart();
  return start !== "" && !/^(\{|\/\/|\/\*)/.test(start);
}

/** [kind, start, end] of each part, in the order of the text. */
export function* tokens(text, toml) {
  for (const match of text.matchAll(toml ? TOML : JSONC)) {
    const end = match.index + match[0].length;
    let kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
    if (kind === "string") {
      COLON.lastIndex = end;
      if (toml ? /^[ \t]*=/.test(text.slice(end, end + 20)) : COLON.test(text)) kind = "key";
    }
    yield [kind, match.index, end];
  }
}
