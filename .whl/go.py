import sys,re,time,traceback,os,warnings,ast
import matplotlib; matplotlib.use('Agg')
warnings.filterwarnings('ignore')
nb=sys.argv[1]; import json
cells=[''.join(c['source']) for c in json.load(open(nb))['cells'] if c['cell_type']=='code']
os.chdir(os.path.dirname(os.path.abspath(nb)))
g={'__name__':'__main__'}; t0=time.time(); bad=0
for i,b in enumerate(cells):
    if re.search(r'^#\|\s*(slow|notest|eval:\s*false)',b,re.M): continue
    try:
        tree=ast.parse(b); last=tree.body.pop() if tree.body and isinstance(tree.body[-1],ast.Expr) else None
        exec(compile(tree,f'cell{i}','exec'),g)
        if last:
            v=eval(compile(ast.Expression(last.value),f'cell{i}','eval'),g)
            if '#| cuda' in b and v is not None: print(v)
        if '#| cuda' in b: print('CUDA CELL ok:',b.splitlines()[1][:100])
    except Exception as e:
        bad+=1; print(nb,'CELL',i,traceback.format_exc()[-1500:]); 
        if bad>2: break
print(nb,'failures',bad,f'{time.time()-t0:.0f}s')
